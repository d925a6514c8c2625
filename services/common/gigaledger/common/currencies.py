"""Currencies of ISO 4217, withdrawn ones included.

The table belongs to this repository because a recorded amount must stay readable for ever, while
published lists drop a code on the day on which it is withdrawn. Rows are added, and given a last
day; none is ever removed, and no number of decimal places is ever changed.

Sources: ISO 4217, list one of 2026-01-01 and list three, for codes and decimal places; Unicode CLDR
(supplemental data) for first and last days. A currency that was replaced ends on the day before its
successor became the only currency of account, however long its notes were still taken.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

_CODES_BY_EXPONENT = {
    0: """
        ADP BEF BIF BYB BYR CLP DJF ESP GNF GRD ISK ITL JPY KMF KRW LUF MGF PTE PYG ROL RWF TPE TRL
        UGX UYI VND VUV XAF XOF XPF
    """,
    2: """
        AED AFA AFN ALL AMD ANG AOA ARS ATS AUD AWG AZM AZN BAM BBD BDT BGL BGN BMD BND BOB BOV BRL
        BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW CNY COP COU CRC CSD CUC CUP CVE CYP CZK DEM DKK DOP
        DZD EEK EGP ERN ETB EUR FIM FJD FKP FRF GBP GEL GHC GHS GIP GMD GTQ GYD HKD HNL HRK HTG HUF
        IDR IEP ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL LTL LVL MAD MDL MGA MKD
        MMK MNT MOP MRO MRU MTL MUR MVR MWK MXN MXV MYR MZM MZN NAD NGN NIO NLG NOK NPR NZD PAB PEN
        PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDD SDG SEK SGD SHP SIT SKK SLE SLL SOS SRD SRG
        SSP STD STN SVC SYP SZL THB TJS TMM TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VEB VED VEF
        VES WST XAD XCD XCG YER YUM ZAR ZMK ZMW ZWD ZWG ZWL ZWR
    """,
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}

WITHOUT_MINOR_UNIT = frozenset(
    ["XAG", "XAU", "XBA", "XBB", "XBC", "XBD", "XDR", "XPD", "XPT", "XSU", "XTS", "XUA", "XXX"]
)
"""Codes of metals, baskets and tests, in which no exact amount can be stated."""

_FIRST_DAYS = {
    "AFN": "2002-10-07",
    "AOA": "1999-12-13",
    "AZN": "2006-01-01",
    "BGN": "1999-07-05",
    "BYN": "2016-07-01",
    "CSD": "2002-05-15",
    "EUR": "1999-01-01",
    "GHS": "2007-07-03",
    "MRU": "2018-01-01",
    "MZN": "2006-07-01",
    "RON": "2005-07-01",
    "RSD": "2006-10-25",
    "SDG": "2007-01-10",
    "SLE": "2022-07-01",
    "SRD": "2004-01-01",
    "SSP": "2011-07-18",
    "STN": "2018-01-01",
    "TJS": "2000-10-26",
    "TMT": "2009-01-01",
    "TRY": "2005-01-01",
    "VEF": "2008-01-01",
    "VES": "2018-08-20",
    "XCG": "2025-03-31",
    "ZMW": "2013-01-01",
    "ZWG": "2024-06-25",
    "ZWL": "2009-02-02",
    "ZWR": "2008-08-01",
}
"""Of currencies introduced since 1999."""

_LAST_DAYS = {
    "ADP": "2001-12-31",
    "AFA": "2002-12-31",
    "ANG": "2025-06-30",
    "ATS": "2001-12-31",
    "AZM": "2006-12-31",
    "BEF": "2001-12-31",
    "BGL": "1999-07-05",
    "BGN": "2025-12-31",
    "BYB": "2000-12-31",
    "BYR": "2016-12-31",
    "CSD": "2006-10-25",
    "CUC": "2021-06-01",
    "CYP": "2007-12-31",
    "DEM": "2001-12-31",
    "EEK": "2010-12-31",
    "ESP": "2001-12-31",
    "FIM": "2001-12-31",
    "FRF": "2001-12-31",
    "GHC": "2007-12-31",
    "GRD": "2001-12-31",
    "HRK": "2022-12-31",
    "IEP": "2001-12-31",
    "ITL": "2001-12-31",
    "LTL": "2014-12-31",
    "LUF": "2001-12-31",
    "LVL": "2013-12-31",
    "MGF": "2004-12-31",
    "MRO": "2018-06-30",
    "MTL": "2007-12-31",
    "MZM": "2006-12-31",
    "NLG": "2001-12-31",
    "PTE": "2001-12-31",
    "ROL": "2006-12-31",
    "SDD": "2007-06-30",
    "SIT": "2006-12-31",
    "SKK": "2008-12-31",
    "SLL": "2023-12-31",
    "SRG": "2003-12-31",
    "STD": "2017-12-31",
    "TMM": "2008-12-31",
    "TPE": "2002-05-20",
    "TRL": "2005-12-31",
    "VEB": "2008-06-30",
    "VEF": "2018-08-20",
    "YUM": "2002-05-15",
    "ZMK": "2012-12-31",
    "ZWD": "2008-08-01",
    "ZWL": "2024-08-31",
    "ZWR": "2009-02-02",
}
"""Of currencies withdrawn since 1999."""


@dataclass(frozen=True, slots=True)
class Currency:
    """A currency with a minor unit.

    Attributes:
        code: three capital letters, as ISO 4217 assigns them.
        exponent: number of decimal places: 2 for USD, 0 for JPY.
        first_day: first day on which it was legal tender; None if it was introduced before 1999.
        last_day: last day on which it was legal tender; None if it still is.
    """

    code: str
    exponent: int
    first_day: dt.date | None = None
    last_day: dt.date | None = None


def _day(text: str | None) -> dt.date | None:
    return None if text is None else dt.date.fromisoformat(text)


CURRENCIES = {
    code: Currency(code, exponent, _day(_FIRST_DAYS.get(code)), _day(_LAST_DAYS.get(code)))
    for exponent, codes in _CODES_BY_EXPONENT.items()
    for code in codes.split()
}
"""Every currency in which amounts can be recorded, by code."""

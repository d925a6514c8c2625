"""From facts to the read model of capacity."""

from __future__ import annotations

from collections.abc import Iterator

from gigaledger.common.quantities import date_from_message
from gigaledger.projections.capacity.hardware import SUBTOTALS
from gigaledger.projections.engine.folding import Row, enum_text
from gigaledger.projections.engine.projection import Projection
from gigaledger.projections.shared.agreement_terms import layer_text, terms_folds
from gigaledger.v1.agreement_facts_pb2 import DeploymentScheduleBaselined, DeploymentScheduleRevised
from gigaledger.v1.capacity_facts_pb2 import (
    CapacityCertificationReversed,
    CapacityClaimRejected,
    CapacityMilestoneCertified,
    CapacityMilestoneClaimed,
    CapacityMilestonePlanned,
    CapacityRetired,
    RackSkuRated,
    SiteEnergised,
)
from gigaledger.v1.common_pb2 import ContractKind, GpuBasis, PowerBasis
from gigaledger.v1.procurement_facts_pb2 import (
    GoodsReceived,
    GoodsReturned,
    PurchaseOrderAmended,
    PurchaseOrderCancelled,
    PurchaseOrderPlaced,
)


def _entry(measure: str, power_kw: int, power_basis: int, **columns: object) -> Row:
    return Row(
        "capacity_entry",
        {
            "measure": measure,
            "power_kw": power_kw,
            "power_basis": enum_text(PowerBasis, power_basis),
            **columns,
        },
    )


def _schedule(
    fact: DeploymentScheduleBaselined | DeploymentScheduleRevised, *, baseline: bool
) -> Iterator[Row]:
    yield Row(
        "capacity_schedule",
        {
            "agreement": fact.agreement,
            "baseline": baseline,
            "by_dates": [date_from_message(point.by_date) for point in fact.points],
            "cumulative_power_kw": [point.cumulative_power_kw for point in fact.points],
        },
    )


def _baselined(fact: DeploymentScheduleBaselined) -> Iterator[Row]:
    yield from _schedule(fact, baseline=True)


def _revised(fact: DeploymentScheduleRevised) -> Iterator[Row]:
    yield from _schedule(fact, baseline=False)


def _planned(fact: CapacityMilestonePlanned) -> Iterator[Row]:
    yield _entry(
        "PLANNED",
        fact.power_kw,
        fact.power_basis,
        agreement=fact.agreement,
        milestone=fact.milestone,
        capacity_layer=layer_text(fact.capacity_layer),
        site=fact.site,
        platform=fact.platform,
        planned_date=(
            date_from_message(fact.planned_date) if fact.HasField("planned_date") else None
        ),
    )


def _energised(fact: SiteEnergised) -> Iterator[Row]:
    yield _entry(
        "ENERGISED",
        fact.power_kw,
        fact.power_basis,
        agreement=fact.agreement,
        capacity_layer=layer_text(fact.capacity_layer),
        site=fact.site,
    )


def _claimed(fact: CapacityMilestoneClaimed) -> Iterator[Row]:
    yield _entry(
        "CLAIMED",
        fact.power_kw,
        fact.power_basis,
        agreement=fact.agreement,
        milestone=fact.milestone,
        capacity_layer=layer_text(fact.capacity_layer),
        site=fact.site,
        platform=fact.platform,
    )


def _certified(fact: CapacityMilestoneCertified) -> Iterator[Row]:
    yield _entry(
        "CERTIFIED",
        fact.power_kw,
        fact.power_basis,
        agreement=fact.agreement,
        milestone=fact.milestone,
        certifier=fact.certifier,
        certificate=fact.certificate,
    )


def _rejected(fact: CapacityClaimRejected) -> Iterator[Row]:
    yield _entry(
        "REJECTED",
        fact.power_kw,
        fact.power_basis,
        agreement=fact.agreement,
        milestone=fact.milestone,
    )


def _certification_reversed(fact: CapacityCertificationReversed) -> Iterator[Row]:
    yield _entry(
        "DECERTIFIED",
        fact.power_kw,
        fact.power_basis,
        agreement=fact.agreement,
        certifier=fact.certifier,
        certificate=fact.certificate,
    )


def _retired(fact: CapacityRetired) -> Iterator[Row]:
    yield _entry(
        "RETIRED",
        fact.power_kw,
        fact.power_basis,
        agreement=fact.agreement,
        milestone=fact.milestone,
    )


def _rated(fact: RackSkuRated) -> Iterator[Row]:
    yield Row(
        "capacity_rating",
        {
            "sku": fact.sku,
            "platform": fact.platform,
            "rated_power_kw_numerator": fact.rated_power_kw_numerator,
            "rated_power_kw_denominator": fact.rated_power_kw_denominator,
            "power_basis": enum_text(PowerBasis, fact.power_basis),
            "gpu_count": fact.gpu_count,
            "gpu_basis": enum_text(GpuBasis, fact.gpu_basis),
        },
    )


def _order_placed(fact: PurchaseOrderPlaced) -> Iterator[Row]:
    for line in fact.lines:
        yield Row(
            "capacity_order_line",
            {
                "purchase_order": fact.purchase_order,
                "line": line.line,
                "sku": line.sku,
                "agreement": fact.agreement,
                "contract_kind": enum_text(ContractKind, fact.contract_kind),
                "quantity": line.quantity,
            },
        )


def _order_change(
    fact: PurchaseOrderAmended | PurchaseOrderCancelled, quantity: int
) -> Iterator[Row]:
    if quantity:
        yield Row(
            "capacity_order_change",
            {"purchase_order": fact.purchase_order, "line": fact.line, "quantity": quantity},
        )


def _order_amended(fact: PurchaseOrderAmended) -> Iterator[Row]:
    yield from _order_change(fact, fact.quantity_delta)


def _order_cancelled(fact: PurchaseOrderCancelled) -> Iterator[Row]:
    yield from _order_change(fact, -fact.quantity)


def _hardware(fact: GoodsReceived | GoodsReturned, quantity: int) -> Iterator[Row]:
    yield Row(
        "capacity_hardware",
        {
            "purchase_order": fact.purchase_order,
            "line": fact.line,
            "site": fact.site,
            "quantity": quantity,
        },
    )


def _received(fact: GoodsReceived) -> Iterator[Row]:
    yield from _hardware(fact, fact.quantity)


def _returned(fact: GoodsReturned) -> Iterator[Row]:
    yield from _hardware(fact, -fact.quantity)


CAPACITY = Projection(
    name="capacity",
    version=4,
    package="gigaledger.projections.capacity",
    folds=terms_folds("capacity_terms")
    | {
        "deployment_schedule_baselined": _baselined,
        "deployment_schedule_revised": _revised,
        "capacity_milestone_planned": _planned,
        "site_energised": _energised,
        "capacity_milestone_claimed": _claimed,
        "capacity_milestone_certified": _certified,
        "capacity_claim_rejected": _rejected,
        "capacity_certification_reversed": _certification_reversed,
        "capacity_retired": _retired,
        "rack_sku_rated": _rated,
        "purchase_order_placed": _order_placed,
        "purchase_order_amended": _order_amended,
        "purchase_order_cancelled": _order_cancelled,
        "goods_received": _received,
        "goods_returned": _returned,
    },
    tables=(
        "capacity_terms",
        "capacity_schedule",
        "capacity_entry",
        "capacity_order_line",
        "capacity_order_change",
        "capacity_hardware",
        "capacity_rating",
    ),
    subtotals=SUBTOTALS,
)

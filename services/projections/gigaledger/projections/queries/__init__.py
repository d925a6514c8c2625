"""The query side of projections: snapshots, reports, drill-down, paging, the gRPC service."""

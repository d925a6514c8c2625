"""The rules that flag facts for review. Pure, shared by projections and audit."""

"""What OpenLineage is told: datasets, columns and row counts of prepare and synchronize."""

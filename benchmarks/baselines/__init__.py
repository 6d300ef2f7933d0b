"""How others come to the same end state: what our own steps are measured against."""

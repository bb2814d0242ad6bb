"""What is trained: rows, their registry and names. Standard library only."""

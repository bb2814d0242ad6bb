"""What one batch does: nets and their optimizers, losses, updates."""

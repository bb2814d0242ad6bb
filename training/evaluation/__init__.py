"""What a trained net is worth, and what it draws."""

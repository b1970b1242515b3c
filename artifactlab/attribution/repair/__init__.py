"""Sites repaired while the model runs, and what that does to the output."""

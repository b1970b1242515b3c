"""What a diagnosis looks like: as a table in the terminal, as files in a folder, as a picture."""

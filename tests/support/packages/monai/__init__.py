"""A package that stands in for MONAI: where its networks are, and one of them."""

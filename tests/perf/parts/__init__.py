"""What is measured, one module each; each defines PART."""

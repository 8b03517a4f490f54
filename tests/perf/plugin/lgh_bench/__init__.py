"""What the harness measures itself with, found like any third party's plug-in."""

"""Knobs: settings that trade speed for power, one module each; each defines KNOB."""

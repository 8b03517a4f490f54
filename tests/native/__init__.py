"""The native bridge's C++ without Python: a stress program, and what runs it under the compilers' sanitizers."""

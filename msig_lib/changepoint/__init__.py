"""Chapter 4: change-point detection with generated correlation graphs (CORD_CPD)."""

"""Pure tensor code shared by engines and policies."""

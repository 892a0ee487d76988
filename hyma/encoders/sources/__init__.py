"""Where encoders come from: one file a source. Each imports its library when an encoder of it is loaded."""

"""What methods do in TensorFlow's graphs, imported by those that train so."""

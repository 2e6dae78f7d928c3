"""What a model costs as it is, layer by layer, its zeros counted or not."""

"""From a folder of labelled reviews to a quantized .tflite and its model card."""

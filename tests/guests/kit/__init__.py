"""The guest lab: boots unmodified guests on a VMXNET3 and judges what they do."""

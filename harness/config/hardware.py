"""What the machine is asked for."""

from typing import Literal

from harness.config.fields import Flag, Section, key


class HardwareSection(Section):
    """Number formats and attention kernels."""

    bf16: Flag | Literal["auto"] = key(
        "Compute in bfloat16 (the trained weights stay in float32); `auto`: where the machine has it.",
        "auto",
        affects="weights",
        allowed="true, false or auto",
    )
    fp16: Flag = key("Compute in float16.", False, affects="weights", needs_cuda="training runs as if it were not set")
    tf32: Flag = key(
        "Multiply float32 matrices in TF32.", False, affects="weights", needs_cuda="float32 is computed in full"
    )
    flash_attention: Flag = key(
        "Use the flash-attention kernels.",
        False,
        affects="weights",
        needs_cuda="PyTorch's scaled dot-product attention is used",
        package="flash_attn",
    )
    sdp_attention: Flag = key("Use PyTorch's scaled dot-product attention, which is what is used in any case.", False)

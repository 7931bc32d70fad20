"""How the trained model is served."""

from typing import Literal

from harness.config.fields import Flag, Int, Number, Section, key


class ServeConfig(Section):
    """The engine that answers the cases."""

    engine: Literal["auto", "vllm", "transformers"] = key(
        "Engine; `auto`: vLLM if it is installed.", "auto", affects="generation"
    )
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = key(
        "Number format of the served weights; `auto`: the base model's.", "auto", affects="generation"
    )
    adapter: Literal["auto", "lora", "merged"] = key(
        "Serve the adapter beside the base or merged into it; `auto`: merged on CPU and where `lora_modules_to_save` "
        "is set, else beside it. vLLM takes no `lora_modules_to_save` with `lora`.",
        "auto",
        affects="generation",
    )
    max_model_len: Int | None = key(
        "Longest prompt and reply together, in tokens.",
        None,
        default_text="`sequence_len` + `decode.max_tokens`",
        affects="generation",
        gt=0,
    )
    max_concurrency: Int = key("Requests in flight at once.", 64, gt=0)
    start_timeout: Number = key("Seconds until the engine must answer.", 600.0, gt=0)
    kv_cache_gib: Number | None = key(
        "Memory for the key-value cache, in GiB.", None, default_text="what the cases need", gt=0
    )
    gpu_memory_utilization: Number | None = key(
        "Share of the GPU's memory that vLLM takes.", None, default_text="vLLM's own", gt=0, le=1
    )
    tensor_parallel_size: Int = key("GPUs that share one model.", 1, affects="generation", gt=0)
    enforce_eager: Flag | None = key(
        "Do not compile the model.", None, default_text="true on CPU", affects="generation"
    )

"""The special tokens and the chat template: ChatML with places for pictures, as in Qwen2.5-VL."""

CONTEXT = 2048  # tokens
IM_START, IM_END, END_OF_TEXT = "<|im_start|>", "<|im_end|>", "<|endoftext|>"
VISION_START, VISION_END, IMAGE = "<|vision_start|>", "<|vision_end|>", "<|image_pad|>"
VISION_PAD, VIDEO = "<|vision_pad|>", "<|video_pad|>"
SPECIAL_TOKENS = (
    *(END_OF_TEXT, IM_START, IM_END),
    *(VISION_START, VISION_END, VISION_PAD, IMAGE, VIDEO),
)
PLACE = VISION_START + IMAGE + VISION_END  # where a picture stands in a prompt
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for item in message['content'] %}"
    "{% if item['type'] == 'image' or 'image' in item or 'image_url' in item %}"
    "{{ '" + PLACE + "' }}"
    "{% elif 'text' in item %}{{ item['text'] }}{% endif %}"
    "{% endfor %}{% endif %}"
    "{{ '<|im_end|>' + '\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

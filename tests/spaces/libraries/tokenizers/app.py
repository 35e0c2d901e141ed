import os

import spaces

os.environ["TOKENIZERS_PARALLELISM"] = "true"

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

TEXTS = [f"the {number} words of a text that is not short at all" * 20 for number in range(4000)]
TOKENIZER = Tokenizer(models.BPE())
TOKENIZER.pre_tokenizer = pre_tokenizers.Whitespace()
TOKENIZER.train_from_iterator(TEXTS[:200], trainers.BpeTrainer(vocab_size=500, show_progress=False))


def compute():
    return sum(len(each.ids) for each in TOKENIZER.encode_batch(TEXTS))


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))

import os

import spaces
import io

import sentencepiece

MODEL = io.BytesIO()
sentencepiece.SentencePieceTrainer.train(
    sentence_iterator=iter([f"the {number} words of a text" for number in range(500)]),
    model_writer=MODEL,
    vocab_size=60,
    hard_vocab_limit=False,
    minloglevel=2,
)
PROCESSOR = sentencepiece.SentencePieceProcessor(model_proto=MODEL.getvalue())


def compute():
    return PROCESSOR.encode(["the words of a text"] * 1000, num_threads=4)[0]


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))

import os

import spaces
import tempfile

import ctranslate2
import numpy

WORDS, SIZE = ["<unk>", "<s>", "</s>", "a", "b"], 8
RANDOM = numpy.random.default_rng(0)


def fill(layer, *shape):
    layer.weight = RANDOM.random(shape, dtype=numpy.float32)
    layer.bias = RANDOM.random(shape[0], dtype=numpy.float32)


def norm(layer):
    layer.gamma, layer.beta = numpy.ones(SIZE, numpy.float32), numpy.zeros(SIZE, numpy.float32)


def block(layer):
    for each in (layer.self_attention.layer_norm, layer.ffn.layer_norm):
        norm(each)
    fill(layer.self_attention.linear[0], 3 * SIZE, SIZE)
    fill(layer.self_attention.linear[1], SIZE, SIZE)
    fill(layer.ffn.linear_0, 16, SIZE)
    fill(layer.ffn.linear_1, SIZE, 16)


def translator():
    """The smallest transformer, of random weights."""
    spec = ctranslate2.specs.TransformerSpec.from_config(1, 2)
    spec.register_source_vocabulary(WORDS)
    spec.register_target_vocabulary(WORDS)
    decoder = spec.decoder.layer[0]
    for each in (spec.encoder.layer[0], decoder):
        block(each)
    norm(decoder.attention.layer_norm)
    fill(decoder.attention.linear[0], SIZE, SIZE)
    fill(decoder.attention.linear[1], 2 * SIZE, SIZE)
    fill(decoder.attention.linear[2], SIZE, SIZE)
    for side in (spec.encoder, spec.decoder):
        norm(side.layer_norm)
        side.position_encodings.encodings = RANDOM.random((10, SIZE), dtype=numpy.float32)
    words = RANDOM.random((len(WORDS), SIZE), dtype=numpy.float32)
    spec.encoder.embeddings[0].weight = spec.decoder.embeddings.weight = words
    fill(spec.decoder.projection, len(WORDS), SIZE)
    spec.validate()
    folder = tempfile.mkdtemp()
    spec.save(folder)
    return ctranslate2.Translator(folder, device="cpu")


TRANSLATOR = translator()


def compute():
    return TRANSLATOR.translate_batch([["a", "b"]], max_decoding_length=3)[0].hypotheses


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))

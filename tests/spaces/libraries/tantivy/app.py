import os

import spaces
import tantivy

FIELDS = tantivy.SchemaBuilder()
FIELDS.add_text_field("text", stored=True)
INDEX = tantivy.Index(FIELDS.build())
WRITER = INDEX.writer()


def compute():
    """Replace all documents by one, and find it."""
    WRITER.delete_all_documents()
    WRITER.add_document(tantivy.Document(text=["a word"]))
    WRITER.commit()
    INDEX.reload()
    return INDEX.searcher().search(INDEX.parse_query("word", ["text"]), 5).count


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))

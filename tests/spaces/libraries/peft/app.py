import os
import tempfile

import spaces
import torch
from peft import LoraConfig, PeftModel, get_peft_model

torch.manual_seed(0)
FOLDER = tempfile.mkdtemp()


def base():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(8, 8)).to("cuda")


get_peft_model(base(), LoraConfig(target_modules=["0"], r=2)).save_pretrained(FOLDER)
MODEL = PeftModel.from_pretrained(base(), FOLDER)


def compute():
    return round(MODEL(torch.ones(1, 8, device="cuda")).sum().item(), 3), next(MODEL.parameters()).device.type


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))

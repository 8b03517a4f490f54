"""How much energy did it take?"""

"""Shipped sets that find data which should not leave.

payment_cards   iban   private_keys   cloud_credentials   national_id_us   national_id_es   national_id_br

Numbers are told by their form, and confirmed by their check digits in C (confirm/sg_confirm.c). Spain's and Brazil's
national ids have such digits; of the United States' only what was never given out is known, so theirs is found with its
hyphens alone.

In and out: patterns. No I/O. May import model.sensors' sensor and parts.
"""

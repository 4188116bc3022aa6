/* SPDX-License-Identifier: GPL-2.0 */
#ifdef CONFIG_SPARC64
/* The header has it in assembler that is patched at boot: this is what is left. */
#undef pte_present
static inline unsigned long pte_present(pte_t pte)
{
#ifdef SUN4V
	return pte_val(pte) & _PAGE_PRESENT_4V;
#else
	return pte_val(pte) & _PAGE_PRESENT_4U;
#endif
}
#endif

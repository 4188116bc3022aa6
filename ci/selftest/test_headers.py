"""ci/headers: its test goes red on each bug that is put into a small arch's header."""
import contextlib
import io
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from steps import headers, proof  # noqa: E402
from steps.trial import Outcome  # noqa: E402

PAGE = """
typedef struct { unsigned long pte; } pte_t;
typedef struct { unsigned long pgprot; } pgprot_t;
typedef struct { unsigned long pmd; } pmd_t;
typedef struct { unsigned long val; } pgd_t, p4d_t, pud_t;
#define PAGE_SHIFT 12
#define pte_val(x) ((x).pte)
#define pmd_val(x) ((x).pmd)
#define __pte(x) ((pte_t) { (x) })
#define __pmd(x) ((pmd_t) { (x) })
#define __pgprot(x) ((pgprot_t) { (x) })
"""

# PRESENT 0, PROTNONE 1, soft-dirty 2, marker 3, uffd-wp 4, type 5-9, offset 12-61.
PGTABLE = """
#define PAGE_NONE __pgprot(2)
#define WRITE 1024
#define DIRTY 2048
#define __P000 PAGE_NONE
#define __P001 __pgprot(1)
#define __P010 __pgprot(1)
#define __P011 __pgprot(1)
#define __P100 __pgprot(1)
#define __P101 __pgprot(1)
#define __P110 __pgprot(1)
#define __P111 __pgprot(1)
#define pte_write(pte) (!!(pte_val(pte) & WRITE))
#define pte_mkyoung(pte) (pte)
static inline pte_t pte_mkwrite(pte_t pte) { return __pte(pte_val(pte) | WRITE); }
static inline pte_t pte_wrprotect(pte_t pte) { return __pte(pte_val(pte) & ~WRITE); }
static inline pte_t pte_mkdirty(pte_t pte) { return __pte(pte_val(pte) | DIRTY); }
static inline pte_t pte_modify(pte_t pte, pgprot_t prot)
{
	return __pte((pte_val(pte) & ~2047UL) | prot.pgprot);
}
#define pfn_pte(pfn, prot) __pte((unsigned long)(pfn) << 12 | (prot).pgprot)
#define pte_none(pte) (!pte_val(pte))
#define pte_present(pte) (!!(pte_val(pte) & 3))
#define pte_protnone(pte) ((pte_val(pte) & 3) == 2)
#define __swp_type(x) (((x).val >> 5) & 0x1f)
#define __swp_offset(x) ((x).val >> 12 & ((1UL << 50) - 1))
#define __swp_entry(type, offset) ((swp_entry_t) { \\
	((type) & 0x1fUL) << 5 | ((offset) & ((1UL << 50) - 1)) << 12 })
#define __pte_to_swp_entry(pte) ((swp_entry_t) { pte_val(pte) })
#define __swp_entry_to_pte(x) __pte((x).val)
#define SOFT_DIRTY 4
#define EXCLUSIVE 8
#define UFFD_WP 16
static inline pte_t pte_swp_mksoft_dirty(pte_t pte) { return __pte(pte_val(pte) | SOFT_DIRTY); }
static inline int pte_swp_soft_dirty(pte_t pte) { return !!(pte_val(pte) & SOFT_DIRTY); }
static inline pte_t pte_swp_clear_soft_dirty(pte_t pte) { return __pte(pte_val(pte) & ~SOFT_DIRTY); }
static inline pte_t pte_swp_mkuffd_wp(pte_t pte) { return __pte(pte_val(pte) | UFFD_WP); }
static inline int pte_swp_uffd_wp(pte_t pte) { return !!(pte_val(pte) & UFFD_WP); }
static inline pte_t pte_swp_clear_uffd_wp(pte_t pte) { return __pte(pte_val(pte) & ~UFFD_WP); }
static inline pte_t pte_swp_mkexclusive(pte_t pte) { return __pte(pte_val(pte) | EXCLUSIVE); }
static inline int pte_swp_exclusive(pte_t pte) { return !!(pte_val(pte) & EXCLUSIVE); }
static inline pte_t pte_swp_clear_exclusive(pte_t pte) { return __pte(pte_val(pte) & ~EXCLUSIVE); }
"""

# Four levels, of which the kernel has three: no P4D.
LEVELS = """
#define PAGE_SIZE 4096UL
#define PMD_SHIFT 21
#define PUD_SHIFT 30
#define P4D_SHIFT PGDIR_SHIFT
#define PGDIR_SHIFT 39
#define __PAGETABLE_P4D_FOLDED 1
#define up_to(addr, end, shift) ({ \\
	unsigned long b = ((addr) + (1UL << (shift))) & -(1UL << (shift)); \\
	b - 1 < (end) - 1 ? b : (end); })
#define pgd_addr_end(addr, end) up_to(addr, end, PGDIR_SHIFT)
#define p4d_addr_end(addr, end) (end)
#define pud_addr_end(addr, end) up_to(addr, end, PUD_SHIFT)
#define pmd_addr_end(addr, end) up_to(addr, end, PMD_SHIFT)
#define pgd_entry_end(pgd, addr, end) pgd_addr_end(addr, end)
#define p4d_entry_end(p4d, addr, end) p4d_addr_end(addr, end)
#define pud_entry_end(pud, addr, end) pud_addr_end(addr, end)
"""

SWAP = """
#define MAX_SWAPFILES_SHIFT	5
#define MAX_SWAPFILES \\
	((1 << MAX_SWAPFILES_SHIFT) - 5)
struct { this is not; read };
"""

SWAPOPS = """
static inline pte_t pte_swp_clear_flags(pte_t pte)
{
	return pte_swp_clear_exclusive(pte_swp_clear_uffd_wp(pte_swp_clear_soft_dirty(pte)));
}
static inline swp_entry_t swp_entry(unsigned long type, unsigned long offset)
{
	return (swp_entry_t) { type << 58 | (offset & ((1UL << 58) - 1)) };
}
#define swp_type(entry) ((entry).val >> 58)
#define swp_offset(entry) ((entry).val & ((1UL << 58) - 1))
#define is_swap_pte(pte) (!pte_none(pte) && !pte_present(pte))
static inline swp_entry_t pte_to_swp_entry(pte_t pte)
{
	swp_entry_t e = __pte_to_swp_entry(pte_swp_clear_flags(pte));

	return swp_entry(__swp_type(e), __swp_offset(e));
}
static inline pte_t swp_entry_to_pte(swp_entry_t e)
{
	return __swp_entry_to_pte(__swp_entry(swp_type(e), swp_offset(e)));
}
"""

FILES = {"include/linux/pgtable.h": "#include <asm/pgtable.h>\n" + LEVELS,
         "include/linux/swap.h": SWAP,
         "include/linux/swapops.h": SWAPOPS, "arch/small/include/asm/page.h": PAGE,
         "arch/small/include/asm/pgtable.h": PGTABLE}
WHAT = {**dict.fromkeys(headers.KEYS, ""), "arch": "small", "bits": "64",
        "config": "64BIT MMU PGTABLE_LEVELS=4 NUMA_BALANCING HAVE_ARCH_SOFT_DIRTY HAVE_ARCH_USERFAULTFD_WP"}

# What is put in, and which of (addr_end, cow_prot, swp_entry, swp_pte) it turns red.
BUGS = {
    "the marker is a bit of the type": ("#define EXCLUSIVE 8", "#define EXCLUSIVE 32", "ppff"),
    "the marker is a bit of the offset": ("#define EXCLUSIVE 8", "#define EXCLUSIVE 4096", "ppff"),
    "the marker is PRESENT": ("#define EXCLUSIVE 8", "#define EXCLUSIVE 1", "pppf"),
    "the marker is PROTNONE": ("#define EXCLUSIVE 8", "#define EXCLUSIVE 2", "pppf"),
    "the marker is soft-dirty": ("#define EXCLUSIVE 8", "#define EXCLUSIVE 4", "pppf"),
    "the marker is uffd-wp": ("#define EXCLUSIVE 8", "#define EXCLUSIVE 16", "pppf"),
    "no marker": ("#define EXCLUSIVE 8", "#define EXCLUSIVE 0", "pppf"),
    "two bits": ("#define EXCLUSIVE 8", "#define EXCLUSIVE (8 | 1 << 10)", "pppf"),
    "the type is not masked": ("((type) & 0x1fUL)", "((unsigned long)(type))", "pppf"),
    "the type has four bits": ("((type) & 0x1fUL)", "((type) & 0xfUL)", "ppff"),
    "the offset is not masked": ("(offset) & ((1UL << 50) - 1)", "(unsigned long)(offset)", "pppp"),
    "the offset reaches PROTNONE": ("<< 12 })", "<< 12 | ((offset) >> 49 & 1) << 1 })", "ppff"),
    "a marked PTE is none": ("(!pte_val(pte))", "(!pte_val(pte) || pte_val(pte) & 8)", "pppf"),
    "none does not look at the type": ("(!pte_val(pte))", "(!(pte_val(pte) >> 12))", "ppff"),
    "a marked PTE is present": ("(!!(pte_val(pte) & 3))", "(!!(pte_val(pte) & 11))", "pppf"),
    "PROT_NONE is not present": ("(!!(pte_val(pte) & 3))", "(!!(pte_val(pte) & 1))", "ppfp"),
    "a marked PTE is PROT_NONE": ("((pte_val(pte) & 3) == 2)", "(!!(pte_val(pte) & 8))", "pppf"),
    "the marker stays": ("return pte_swp_clear_exclusive(pte_swp_clear_uffd_wp(",
                         "return (pte_t)(pte_swp_clear_uffd_wp(", "pppf"),
    "clear takes soft-dirty along": ("& ~EXCLUSIVE", "& ~(EXCLUSIVE | SOFT_DIRTY)", "pppf"),
    "soft-dirty is a bit of the type": ("#define SOFT_DIRTY 4", "#define SOFT_DIRTY 64", "ppff"),
    "uffd-wp is soft-dirty": ("#define UFFD_WP 16", "#define UFFD_WP 4", "ppff"),
    "a private mapping begins writable": ("#define __P011 __pgprot(1)",
                                          "#define __P011 __pgprot(1 | WRITE)", "pfpp"),
    "mprotect() gives a dirty page back": ("| prot.pgprot);",
                                           "| prot.pgprot | (pte_val(pte) & DIRTY) >> 1);", "pfpp"),
    "write-protected in vain": ("& ~WRITE)", "& ~0UL)", "pfpp"),
    "dirty is writable": ("| DIRTY)", "| DIRTY | WRITE)", "pfpp"),
    "never writable": ("(!!(pte_val(pte) & WRITE))", "0", "pfpp"),
    "always exclusive": ("return !!(pte_val(pte) & EXCLUSIVE);", "return 1;", "pppf"),
    "the end of all addresses is before each boundary": ("b - 1 < (end) - 1", "b < (end)", "fppp"),
    "the end does not count": ("? b : (end)", "? b : b", "fppp"),
    "the end of the level above": ("end, PUD_SHIFT)", "end, PGDIR_SHIFT)", "fppp"),
    "a boundary is its own end": ("(addr) + (1UL << (shift))", "(addr) + (1UL << (shift)) - 1",
                                  "fppp"),
    "a folded level has an end": ("p4d_addr_end(addr, end) (end)",
                                  "p4d_addr_end(addr, end) up_to(addr, end, PUD_SHIFT)", "fppp"),
    "an entry ends elsewhere": ("pud_entry_end(pud, addr, end) pud_addr_end(addr, end)",
                                "pud_entry_end(pud, addr, end) (end)", "fppp"),
}


class Tree:
    """A kernel tree in memory, with one text replaced."""
    def __init__(self, old="", new=""):
        self.files = dict(FILES)
        if old:
            hit = [name for name, text in FILES.items() if old in text]
            assert hit, old
            for name in hit:
                self.files[name] = FILES[name].replace(old, new)

    def read(self, name):
        return self.files.get(name)


def run(tree, **changes):
    found, said = headers.run("small", tree, what={**WHAT, **changes})
    return "".join(found[f"{test}/small"].status[0] for test in headers.TESTS), said


class Bugs(unittest.TestCase):
    def test_sound_header(self):
        words, said = run(Tree())
        self.assertEqual(words, "pppp", said)
        self.assertIn("at most 4 EiB: 50 bits of offset", said)
        self.assertIn("the marker is bit 3", said)

    def test_each_bug_is_seen(self):
        for name, (old, new, want) in BUGS.items():
            with self.subTest(name):
                words, said = run(Tree(old, new))
                self.assertEqual(words, want, said)

    def test_bits_that_must_not_be_set(self):
        self.assertEqual(run(Tree(), never="EXCLUSIVE")[0], "pppf")
        self.assertEqual(run(Tree(), never="1<<11")[0], "pppp")

    def test_variant_without_a_test(self):
        found, _ = headers.run("small", Tree(), what={**WHAT, "without": "cow_prot -- so"})
        self.assertEqual(sorted(found), ["addr_end/small", "swp_entry/small", "swp_pte/small"])

    def test_tree_without_marker(self):
        tree = Tree()
        for name, text in tree.files.items():
            tree.files[name] = "\n".join(
                line for line in text.replace("pte_swp_clear_exclusive(pte_swp_clear_uffd_wp(", "((")
                .splitlines() if "exclusive" not in line)
        self.assertEqual(run(tree, config="64BIT MMU PGTABLE_LEVELS=4")[0], "pppf")

    def test_what_does_not_compile_is_an_error(self):
        words, said = run(Tree("#define PAGE_SHIFT 12", ""))
        self.assertEqual(words, "eeee")
        self.assertIn("PAGE_SHIFT", said)

    def test_program_that_dies_is_an_error(self):
        self.assertEqual(run(Tree("(!pte_val(pte))", "(__builtin_trap(), 0)"))[0], "eeee")


class Variants(unittest.TestCase):
    def test_all_can_be_read(self):
        self.assertGreater(len(headers.variants()), 40)
        for name in headers.variants():
            headers.variant(name)

    def test_unknown(self):
        with self.assertRaisesRegex(headers.Failure, "no variant 'vax'"):
            headers.variant("vax")

    def test_each_arch_with_an_mmu_is_there(self):
        mmu = ("alpha arc arm arm64 csky hexagon ia64 m68k microblaze mips nds32 nios2 openrisc "
               "parisc powerpc riscv s390 sh sparc um x86 xtensa").split()
        self.assertEqual(sorted({headers.variant(n)["arch"] for n in headers.variants()}), mmu)


class Trial(unittest.TestCase):
    def test_rows(self):
        lab = headers.Trial(None, None)
        self.assertTrue(lab.has("swp_pte/x86_64") and lab.has("swp_entry/mips*"))
        self.assertTrue(lab.has("cow_prot/m68k_coldfire"))
        self.assertFalse(lab.has("swp_pte/vax") or lab.has("other/x86_64"))

    def test_glob(self):
        found = {"swp_pte/a1": headers.Row("fail", "bad"), "swp_pte/a2": headers.Row("fail", ""),
                 "swp_entry/a1": headers.Row("pass", ""), "swp_pte/b": headers.Row("pass", "")}
        self.assertEqual(headers.together(found, "swp_pte/a*"), Outcome("fail", "bad"))
        self.assertEqual(headers.together(found, "swp_pte/*").word, "mixed")
        self.assertEqual(headers.together(found, "swp_pte/b"), Outcome("pass", ""))

    def test_error_on_the_parent_is_no_proof(self):
        self.assertIn("neither red nor green", proof.verdict(Outcome("error", "x"),
                                                             Outcome("pass", "")))

    def test_commit_without_the_file(self):
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
            self.assertIsNone(headers.Commit(folder, "0" * 40).read("include/linux/pgtable.h"))
            with self.assertRaisesRegex(headers.Failure, "no kernel tree"):
                headers.Folder(folder)


if __name__ == "__main__":
    unittest.main()

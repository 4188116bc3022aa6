/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the page-table headers take from the rest of the kernel, for a program
 * on the host.  Included before everything else.
 */
typedef signed char s8, __s8;
typedef unsigned char u8, __u8;
typedef short s16, __s16;
typedef unsigned short u16, __u16;
typedef int s32, __s32;
typedef unsigned int u32, __u32, uint32_t;
typedef long long s64, __s64;
typedef unsigned long long u64, __u64, __be64, uint64_t;
typedef u32 __be32;
typedef _Bool bool;
typedef unsigned int uint, gfp_t;
typedef unsigned long pgoff_t, size_t, uintptr_t, pte_marker, vm_fault_t;
typedef unsigned short umode_t;
typedef long long loff_t;
#ifdef CONFIG_PHYS_ADDR_T_64BIT
typedef u64 phys_addr_t, resource_size_t, dma_addr_t;
#else
typedef unsigned long phys_addr_t, resource_size_t, dma_addr_t;
#endif
enum { false, true };
#define NULL ((void *)0)

#ifdef CONFIG_64BIT
#define BITS_PER_LONG 64
#else
#define BITS_PER_LONG 32
#endif
#define BITS_PER_BYTE 8
#define EINVAL 22
#define L1_CACHE_BYTES 32

#define __user
#define __iomem
#define __init
#define __ref
#define __meminit
#define __force
#define __pure
#define __percpu
#define __read_mostly
#define __ro_after_init
#define __attribute_const__
#define __always_unused
#define __maybe_unused __attribute__((unused))
#define __must_check
#define __packed __attribute__((packed))
#define __aligned(n) __attribute__((aligned(n)))
#define __page_aligned_bss
#define __section(x)
#define __always_inline inline __attribute__((always_inline))
#define noinline __attribute__((noinline))
#define asmlinkage
#define __cold
#define notrace
#define __init_or_module
#define fallthrough __attribute__((fallthrough))
#define EXPORT_SYMBOL(x)
#define likely(x) (x)
#define unlikely(x) (x)
#define barrier() __asm__ __volatile__("" : : : "memory")
#define smp_rmb() barrier()
#define smp_wmb() barrier()
#define smp_mb() barrier()
#define READ_ONCE(x) (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile __typeof__(x) *)&(x) = (v))
#define BUG() __builtin_trap()
#define BUG_ON(c) do { if (c) __builtin_trap(); } while (0)
#define VM_BUG_ON(c) BUG_ON(c)
#define VM_BUG_ON_VMA(c, v) BUG_ON(c)
#define VM_BUG_ON_PAGE(c, p) BUG_ON(c)
#define WARN_ON(c) ({ int __c = !!(c); if (__c) __builtin_trap(); __c; })
#define WARN_ON_ONCE(c) WARN_ON(c)
#define VM_WARN_ON(c) WARN_ON(c)
#define VM_WARN_ON_ONCE(c) WARN_ON(c)
#define VM_WARN_ONCE(c, ...) WARN_ON(c)
#define WARN_ONCE(c, ...) WARN_ON(c)
#define WARN(c, ...) WARN_ON(c)
#define BUILD_BUG_ON(c) ((void)sizeof(char[1 - 2 * !!(c)]))
#define BUILD_BUG() do { } while (0)
#define min(a, b) ((a) < (b) ? (a) : (b))
#define max(a, b) ((a) > (b) ? (a) : (b))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define BIT(n) (1UL << (n))
#define BIT_ULL(n) (1ULL << (n))
#define GENMASK(h, l) (((~0UL) << (l)) & (~0UL >> (BITS_PER_LONG - 1 - (h))))
#define GENMASK_ULL(h, l) (((~0ULL) << (l)) & (~0ULL >> (63 - (h))))
#define ALIGN(x, a) (((x) + (a) - 1) & ~((__typeof__(x))(a) - 1))
#define round_up(x, y) ((((x) - 1) | ((__typeof__(x))((y) - 1))) + 1)
#define round_down(x, y) ((x) & ~((__typeof__(x))((y) - 1)))
#define DIV_ROUND_UP(n, d) (((n) + (d) - 1) / (d))
#define SZ_4K 0x1000
#define SZ_16K 0x4000
#define SZ_512K 0x80000
#define SZ_1M 0x100000
#define SZ_2M 0x200000
#define SZ_4M 0x400000
#define SZ_8M 0x800000
#define SZ_16M 0x1000000
#define SZ_32M 0x2000000
#define SZ_64M 0x4000000
#define SZ_128M 0x8000000
#define SZ_256M 0x10000000
#define SZ_512M 0x20000000
#define ilog2(n) (63 - __builtin_clzll(n))
#define __const_hweight64(x) __builtin_popcountll(x)
#define hweight64(x) __builtin_popcountll(x)
#define offsetof(t, m) __builtin_offsetof(t, m)
#define __pa(x) ((unsigned long)(x))
#define __phys_to_pfn(x) ((unsigned long)((x) >> PAGE_SHIFT))
#define __pfn_to_phys(x) ((phys_addr_t)(x) << PAGE_SHIFT)
#define PFN_PHYS(x) ((phys_addr_t)(x) << PAGE_SHIFT)
#define cpu_to_be64(x) __builtin_bswap64(x)
#define be64_to_cpu(x) __builtin_bswap64(x)
#define cpu_to_be32(x) __builtin_bswap32(x)
#define be32_to_cpu(x) __builtin_bswap32(x)
#define swab64(x) __builtin_bswap64(x)
#define xchg(p, v) ({ __typeof__(*(p)) __old = *(p); *(p) = (v); __old; })
#define IS_ALIGNED(x, a) (((x) & ((__typeof__(x))(a) - 1)) == 0)

typedef struct { int counter; } atomic_t;
typedef struct { long counter; } atomic_long_t;
typedef struct { s64 counter; } atomic64_t;
typedef struct { int lock; } spinlock_t;
typedef struct { unsigned long bits[1]; } cpumask_t;
struct list_head { struct list_head *next, *prev; };
struct rw_semaphore { int count; };
struct mutex { int count; };
struct file;
struct task_struct;
struct vmem_altmap;
struct mmu_gather;
struct pt_regs;

/* What else this arch needs: shim/ARCH/shim.h. */
#include <shim.h>

#ifndef MM_CONTEXT
#define MM_CONTEXT int none
#endif
#ifndef TASK
#define TASK int none
#endif
typedef struct { unsigned long val; } swp_entry_t;
struct task_struct { TASK; };
#define current ((struct task_struct *)NULL)
struct mm_struct {
	void *pgd;
	spinlock_t page_table_lock;
	struct rw_semaphore mmap_lock;
	atomic_t mm_users;
	atomic_long_t pgtables_bytes;
	struct { MM_CONTEXT; } context;
};
struct vm_area_struct {
	struct mm_struct *vm_mm;
	unsigned long vm_start, vm_end, vm_flags, vm_pgoff;
};
struct page { unsigned long flags; };
struct vm_fault { struct vm_area_struct *vma; };
extern struct mm_struct init_mm;
static struct page host_pages[8];
struct page *mem_map = host_pages;
#define pfn_to_page(pfn) (mem_map + (pfn))
#define page_to_pfn(page) ((unsigned long)((page) - mem_map))

/* A PTE of mprotect(PROT_NONE); a shim has its own where PAGE_NONE is not constant. */
#ifndef HOST_PAGE_NONE
#define HOST_PAGE_NONE pfn_pte(1, PAGE_NONE)
#endif

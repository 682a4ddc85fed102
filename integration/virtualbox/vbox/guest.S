# The guest of the VM tests: two sectors of 16-bit code, no operating system.
#
# At each boot it tells on the first serial port, one line each,
#
#   serial TEXT            the disk's serial number, by ATA IDENTIFY DEVICE from
#                          the IDE or AHCI controller; "none" where neither is
#   boot NNNNNNNN mark MMMMMMMM
#                          how often this disk has booted, and a number taken
#                          from the time stamp counter, both in hexadecimal
#   done                   everything below has been written
#
# and through the BIOS it
#
#   reads sector 2, the record: 12 bytes of text, the boots so far, the last mark;
#   writes it back with one boot more and the new mark;
#   writes 64 sectors filled with the mark at sector 2048 * boots: the start of a
#   MiB that nobody has written yet, so a dynamic image must allocate a block.
#
# Then it switches the VM off by APM. After a disk error it says "error NN", NN
# being the BIOS's status, and stops.

	.code16
	.set	COM1, 0x3f8
	.set	ATA, 0x1f0
	.set	RECORD, 0x8000		# sector 2; before that, IDENTIFY's answer
	.set	FILL, 0x1000		# segment of the 64 sectors

	.globl	_start
_start:	ljmp	$0, $begin
begin:	xorw	%ax, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movw	$0x7c00, %sp
	cld
	sti
	movb	%dl, drive

	movw	$COM1 + 3, %dx		# 8 data bits, no parity, 1 stop bit
	movb	$3, %al
	outb	%al, %dx

	movw	$0x4200, %ax		# the rest of the code
	call	disk
	movw	$RECORD, packet + 4
	incl	packet + 8

	call	identify
	call	record
	call	fill
	movw	$done, %si
	call	print

	movw	$0x5301, %ax		# APM: connect to the real-mode interface,
	xorw	%bx, %bx
	int	$0x15
	movw	$0x530e, %ax		# speak version 1.2,
	xorw	%bx, %bx
	movw	$0x0102, %cx
	int	$0x15
	movw	$0x5307, %ax		# switch all devices off
	movw	$1, %bx
	movw	$3, %cx
	int	$0x15
stop:	hlt
	jmp	stop

# record counts this boot and takes a new mark, in sector 2.
record:	movw	$0x4200, %ax
	call	disk
	rdtsc
	movl	%eax, RECORD + 16
	incl	RECORD + 12
	movw	$boot, %si
	call	print
	movl	RECORD + 12, %ebx
	call	hex
	movw	$mark, %si
	call	print
	movl	RECORD + 16, %ebx
	call	hex
	call	newline
	movw	$0x4300, %ax
	jmp	disk

# fill writes 64 sectors of marks where nothing has been written yet.
fill:	movl	RECORD + 16, %eax
	movw	$FILL, %bx
	movw	%bx, %es
	xorw	%di, %di
	movw	$64 * 512 / 4, %cx
	rep	stosl
	movw	$64, packet + 2
	movw	$0, packet + 4
	movw	%bx, packet + 6
	movl	RECORD + 12, %eax
	shll	$11, %eax
	movl	%eax, packet + 8
	movw	$0x4300, %ax

# disk does the BIOS function in %ax on what the packet says.
disk:	movb	drive, %dl
	movw	$packet, %si
	int	$0x13
	jc	failed
	ret
failed:	movzbl	%ah, %ebx
	movw	$error, %si
	call	print
	call	hex
	jmp	stop

# hex prints %ebx in eight digits.
hex:	movw	$8, %cx
digit:	roll	$4, %ebx
	movb	%bl, %al
	andb	$15, %al
	cmpb	$10, %al
	sbbb	$0x69, %al		# digit to ASCII without a table
	das
	call	putc
	loop	digit
	ret

newline:
	movw	$crlf, %si
print:	lodsb
	testb	%al, %al
	jz	printed
	call	putc
	jmp	print
printed:
	ret

putc:	movw	$COM1 + 5, %dx
	pushw	%ax
full:	inb	%dx, %al
	testb	$0x20, %al
	jz	full
	popw	%ax
	movw	$COM1, %dx
	outb	%al, %dx
	ret

drive:	.byte	0
	.balign	4
packet:	.byte	16, 0			# disk address packet: its size,
	.word	1			# sectors,
	.word	0x7e00, 0		# offset and segment of the memory,
	.long	1, 0			# first sector
boot:	.asciz	"boot "
mark:	.asciz	" mark "
done:	.asciz	"done\r\n"
error:	.asciz	"error "
crlf:	.asciz	"\r\n"

	.org	510
	.word	0xaa55

# Sector 1.

# identify prints the serial number of the first disk.
identify:
	movw	$serial, %si
	call	print
	call	ide
	jnc	answer
	call	ahci
	jnc	answer
	movw	$none, %si
	jmp	print
answer:	movw	$RECORD + 20, %si	# words 10 to 19, each with its bytes swapped
	movw	$10, %cx
word:	lodsw
	xchgb	%al, %ah
	pushw	%ax
	call	putc
	popw	%ax
	movb	%ah, %al
	call	putc
	loop	word
	jmp	newline

# ide asks the master of the primary IDE channel; carry is set without one.
ide:	movw	$ATA + 7, %dx
	inb	%dx, %al
	cmpb	$0xff, %al		# no controller: the bus floats
	je	absent
	decw	%dx
	movb	$0xa0, %al		# the master
	outb	%al, %dx
	incw	%dx
	movb	$0xec, %al		# IDENTIFY DEVICE
	outb	%al, %dx
busy:	inb	%dx, %al
	testb	$0x80, %al		# BSY
	jnz	busy
	testb	$0x08, %al		# DRQ
	jz	absent
	movw	$ATA, %dx
	movw	$RECORD, %di
	movw	$256, %cx
	rep	insw
	clc
	ret
absent:	stc
	ret

# ahci asks the disk at port 0 of the first AHCI controller; carry is set
# without one. The BIOS has read this code from that disk, so the port has a
# command list with a command table, which the BIOS fills anew for each command:
# it is borrowed here. The registers are reached by the index and data pair that
# VirtualBox's controller has in its I/O space, at BAR 4 + 8 (Serial ATA AHCI
# 1.3.1, 2.4 "SATA Capability"), so that real mode is enough.
ahci:	movw	$0xb103, %ax		# PCI BIOS: find class code
	movl	$0x010601, %ecx		# of an AHCI controller
	xorw	%si, %si
	int	$0x1a
	jc	absent
	movw	$0xb10a, %ax		# PCI BIOS: read configuration
	movw	$0x20, %di		# of BAR 4
	int	$0x1a
	andw	$0xfff0, %cx
	addw	$8, %cx
	movw	%cx, index

	movw	$0x100, %si		# PxCLB
	call	input
	shrl	$4, %eax
	movw	%ax, %es		# the command list
	movl	%es:8, %eax
	shrl	$4, %eax
	movw	%ax, %fs		# the command table
	movl	$0x00010005, %es:0	# a command of five words, one buffer
	movl	$0, %es:4
	movl	$0x00ec8027, %fs:0	# host to device, command, IDENTIFY DEVICE
	xorl	%eax, %eax
	movl	%eax, %fs:4
	movl	%eax, %fs:8
	movl	%eax, %fs:12
	movl	%eax, %fs:16
	movl	$RECORD, %fs:0x80	# the buffer: its address
	movl	%eax, %fs:0x84
	movl	%eax, %fs:0x88
	movl	$511, %fs:0x8c		# and its size less one

	movw	$0x118, %si		# PxCMD
	call	input
	pushl	%eax
	orb	$0x11, %al		# FRE and ST: receive FISes, process the list
	call	output
	movw	$0x138, %si		# PxCI
	movl	$1, %eax
	call	output
issued:	call	input
	testb	$1, %al
	jnz	issued
	movw	$0x118, %si
	popl	%eax
	call	output
	xorw	%ax, %ax
	movw	%ax, %es
	clc
	ret

# input reads the register %si of the controller into %eax.
input:	call	select
	inl	%dx, %eax
	ret

# output writes %eax to it.
output:	call	select
	outl	%eax, %dx
	ret

# select writes the register's number, and leaves the data port in %dx.
select:	pushl	%eax
	movzwl	%si, %eax
	movw	index, %dx
	outl	%eax, %dx
	addw	$4, %dx
	popl	%eax
	ret

index:	.word	0
serial:	.asciz	"serial "
none:	.asciz	"none\r\n"

# Sector 2, the record of a disk that has never booted.
	.org	1024
	.ascii	"CLONEFSGUEST"
	.long	0, 0
	.org	1536

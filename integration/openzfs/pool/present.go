package pool

import "crypto/sha256"

// Present is what a volume of this identity presents of a stored UUID, by the
// definition and not by our own code: it is XORed with the first bytes of a hash,
// of which those bits are left out that make the guest's serial number and the
// UUID's version and variant.
func Present(stored [16]byte, identity string) [16]byte {
	free := [16]byte{4: 0xff, 5: 0xff, 6: 0xff, 7: 0x0f, 8: 0x3f, 9: 0xff, 10: 0xff, 11: 0xff}
	hash := sha256.Sum256([]byte("clonefs/1\x00" + identity))
	for i := range stored {
		stored[i] ^= hash[i] & free[i]
	}
	return stored
}

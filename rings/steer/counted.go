package steer

// counted counts how often each key was added, for maps in the kernel that cannot count.
type counted[K comparable] map[K]uint32

// first calls store for a key that is new, and counts it if that went well.
func (c counted[K]) first(key K, store func(K) error) error {
	if c[key] == 0 {
		if err := store(key); err != nil {
			return err
		}
	}
	c[key]++
	return nil
}

// last calls drop for a key whose last user leaves. A key that was never added is left alone.
func (c counted[K]) last(key K, drop func(K) error) error {
	switch c[key] {
	case 0:
		return nil
	case 1:
		if err := drop(key); err != nil {
			return err
		}
		delete(c, key)
		return nil
	}
	c[key]--
	return nil
}

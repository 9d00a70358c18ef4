package blob

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"sync"
)

// Errors of the keyring that callers branch on.
var (
	// ErrNoKey says that a tenant has no key, or no longer one.
	ErrNoKey = errors.New("the tenant has no key")
	// ErrUnwrap says that a wrapped key is not one this tenant's key made for
	// this blob.
	ErrUnwrap = errors.New("blob key does not unwrap")
	// ErrSiteKey says that the site's key file is not the one that the stored
	// tenant keys were wrapped with.
	ErrSiteKey = errors.New("the site key is not the one this database was made with")
)

// KeyTable keeps the wrapped keys of tenants; the journal's database is one.
type KeyTable interface {
	// TenantKey returns a tenant's wrapped key, ErrNoKey when it has none.
	TenantKey(ctx context.Context, tenant string) ([]byte, error)
	// AddTenantKey stores a tenant's wrapped key unless it has one, and
	// returns the one stored.
	AddTenantKey(ctx context.Context, tenant string, wrapped []byte) ([]byte, error)
	// DeleteTenantKey removes a tenant's key for good.
	DeleteTenantKey(ctx context.Context, tenant string) error
}

// Keyring wraps the keys of blobs. The site's key file wraps the random keys of
// the tenants, which the database holds; a tenant's key wraps the keys of its
// blobs, which the rows hold. A lost key file is lost mail: keep a copy of it
// apart from the backups of the data directory.
type Keyring struct {
	site  [32]byte
	table KeyTable

	mu   sync.Mutex
	keys map[string][32]byte
}

// siteCheck is the tenant whose key exists only to show that the key file fits
// the database. No tenant has an empty id.
const siteCheck = ""

// OpenKeyring opens the keyring with the site's key file. At the very first
// start it makes the file; when the file is missing although the database knows
// a key, or is another one, it refuses.
func OpenKeyring(ctx context.Context, path string, table KeyTable) (*Keyring, error) {
	_, err := table.TenantKey(ctx, siteCheck)
	known := err == nil
	if err != nil && !errors.Is(err, ErrNoKey) {
		return nil, fmt.Errorf("open keyring: %w", err)
	}
	k := &Keyring{table: table, keys: map[string][32]byte{}}
	k.site, err = LoadKeyFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if known {
			return nil, fmt.Errorf("site key file %s is missing: stored mail cannot be read without it, put back the copy kept apart from the backups: %w", path, ErrSiteKey)
		}
		k.site, err = createKeyFile(path)
	}
	if err != nil {
		return nil, err
	}
	if _, err := k.tenant(ctx, siteCheck, true); err != nil {
		return nil, fmt.Errorf("site key file %s: %w", path, err)
	}
	return k, nil
}

// Wrap wraps a blob's key for a row of this tenant. The tenant's first use
// makes its key.
func (k *Keyring) Wrap(ctx context.Context, tenant string, key Key, id ID) ([]byte, error) {
	if tenant == siteCheck {
		return nil, fmt.Errorf("wrap key of blob %s: %w", id, ErrNoKey)
	}
	t, err := k.tenant(ctx, tenant, true)
	if err != nil {
		return nil, err
	}
	a, err := blobCipher(t, id)
	if err != nil {
		return nil, err
	}
	return seal(a, key[:], []byte(id)), nil
}

// Unwrap returns a blob's key from a row of this tenant. It fails with
// ErrUnwrap for a key that was wrapped for another tenant or another blob.
func (k *Keyring) Unwrap(ctx context.Context, tenant string, wrapped []byte, id ID) (Key, error) {
	if tenant == siteCheck {
		return Key{}, fmt.Errorf("unwrap key of blob %s: %w", id, ErrNoKey)
	}
	t, err := k.tenant(ctx, tenant, false)
	if err != nil {
		return Key{}, err
	}
	a, err := blobCipher(t, id)
	if err != nil {
		return Key{}, err
	}
	key, err := open(a, wrapped, []byte(id))
	if err != nil {
		return Key{}, fmt.Errorf("blob %s: %w", id, ErrUnwrap)
	}
	return key, nil
}

// Erase deletes a tenant's key: none of its bytes can be read again.
func (k *Keyring) Erase(ctx context.Context, tenant string) error {
	if tenant == siteCheck {
		return fmt.Errorf("erase tenant: %w", ErrNoKey)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.table.DeleteTenantKey(ctx, tenant); err != nil {
		return fmt.Errorf("erase the key of tenant %s: %w", tenant, err)
	}
	delete(k.keys, tenant)
	return nil
}

func (k *Keyring) tenant(ctx context.Context, tenant string, create bool) ([32]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if key, ok := k.keys[tenant]; ok {
		return key, nil
	}
	a, err := newGCM(k.site)
	if err != nil {
		return [32]byte{}, err
	}
	ad := []byte("sekisho tenant key\x00" + tenant)
	wrapped, err := k.table.TenantKey(ctx, tenant)
	if errors.Is(err, ErrNoKey) && create {
		var key [32]byte
		if _, err := rand.Read(key[:]); err != nil {
			panic(err) // crypto/rand.Read does not fail on Linux
		}
		wrapped, err = k.table.AddTenantKey(ctx, tenant, seal(a, key[:], ad))
	}
	if err != nil {
		return [32]byte{}, fmt.Errorf("key of tenant %q: %w", tenant, err)
	}
	key, err := open(a, wrapped, ad)
	if err != nil {
		return [32]byte{}, fmt.Errorf("key of tenant %q: %w", tenant, ErrSiteKey)
	}
	k.keys[tenant] = key
	return key, nil
}

// blobCipher derives one wrapping key per blob, so that however many blobs a
// tenant has, random nonces cannot meet under one key.
func blobCipher(tenant [32]byte, id ID) (cipher.AEAD, error) {
	b, err := hkdf.Expand(sha256.New, tenant[:], "sekisho blob key\x00"+string(id), 32)
	if err != nil {
		return nil, err
	}
	return newGCM([32]byte(b))
}

func newGCM(key [32]byte) (cipher.AEAD, error) {
	c, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(c)
}

func seal(a cipher.AEAD, plain, ad []byte) []byte { return a.Seal(nil, nil, plain, ad) }

func open(a cipher.AEAD, sealed, ad []byte) ([32]byte, error) {
	b, err := a.Open(nil, nil, sealed, ad)
	if err != nil {
		return [32]byte{}, err
	}
	if len(b) != 32 {
		return [32]byte{}, errors.New("wrong length")
	}
	return [32]byte(b), nil
}

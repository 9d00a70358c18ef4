package blob

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// table is a KeyTable in memory: the database's own is tested with the journal.
type table struct {
	mu   sync.Mutex
	keys map[string][]byte
}

func newTable() *table { return &table{keys: map[string][]byte{}} }

func (t *table) TenantKey(_ context.Context, tenant string) ([]byte, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if k, ok := t.keys[tenant]; ok {
		return k, nil
	}
	return nil, ErrNoKey
}

func (t *table) AddTenantKey(_ context.Context, tenant string, wrapped []byte) ([]byte, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if k, ok := t.keys[tenant]; ok {
		return k, nil
	}
	t.keys[tenant] = wrapped
	return wrapped, nil
}

func (t *table) DeleteTenantKey(_ context.Context, tenant string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.keys, tenant)
	return nil
}

const (
	idA = ID("0123456789abcdef0123456789abcdef")
	idB = ID("fedcba9876543210fedcba9876543210")
)

func TestKeysUnwrapForTheirOwnTenantAndBlobOnly(t *testing.T) {
	path, tab := filepath.Join(t.TempDir(), "site.key"), newTable()
	k, err := OpenKeyring(t.Context(), path, tab)
	if err != nil {
		t.Fatal(err)
	}
	key := Key{1, 2, 3}
	w, err := k.Wrap(t.Context(), "town", key, idA)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Wrap(t.Context(), "village", key, idA); err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(w, key[:3]) {
		t.Error("the wrapped key shows the key")
	}
	changed := bytes.Clone(w)
	changed[len(changed)-1] ^= 1
	for _, c := range []struct {
		name, tenant string
		wrapped      []byte
		id           ID
		want         error
	}{
		{"its own", "town", w, idA, nil},
		{"another blob", "town", w, idB, ErrUnwrap},
		{"another tenant", "village", w, idA, ErrUnwrap},
		{"a tenant without a key", "city", w, idA, ErrNoKey},
		{"no tenant", "", w, idA, ErrNoKey},
		{"changed", "town", changed, idA, ErrUnwrap},
		{"cut short", "town", w[:10], idA, ErrUnwrap},
		{"nothing", "town", nil, idA, ErrUnwrap},
	} {
		got, err := k.Unwrap(t.Context(), c.tenant, c.wrapped, c.id)
		if !errors.Is(err, c.want) || (c.want == nil && got != key) || (c.want != nil && got != Key{}) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}

	again, err := OpenKeyring(t.Context(), path, tab)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := again.Unwrap(t.Context(), "town", w, idA); err != nil || got != key {
		t.Errorf("after a new start: %v", err)
	}
}

func TestAnErasedTenantIsUnreadable(t *testing.T) {
	path, tab := filepath.Join(t.TempDir(), "site.key"), newTable()
	k, err := OpenKeyring(t.Context(), path, tab)
	if err != nil {
		t.Fatal(err)
	}
	w, err := k.Wrap(t.Context(), "town", Key{1}, idA)
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Erase(t.Context(), "town"); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Unwrap(t.Context(), "town", w, idA); !errors.Is(err, ErrNoKey) {
		t.Errorf("after erasing: got %v, want ErrNoKey", err)
	}
	// New mail of the tenant makes a new key, which opens nothing of the old.
	if _, err := k.Wrap(t.Context(), "town", Key{2}, idB); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Unwrap(t.Context(), "town", w, idA); !errors.Is(err, ErrUnwrap) {
		t.Errorf("with a new key: got %v, want ErrUnwrap", err)
	}
}

func TestAnotherSiteKeyIsRefusedAtStart(t *testing.T) {
	dir, tab := t.TempDir(), newTable()
	path := filepath.Join(dir, "site.key")
	if _, err := OpenKeyring(t.Context(), path, tab); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, bytes.Repeat([]byte{7}, 32), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenKeyring(t.Context(), path, tab); !errors.Is(err, ErrSiteKey) {
		t.Errorf("another key: got %v, want ErrSiteKey", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenKeyring(t.Context(), path, tab); !errors.Is(err, ErrSiteKey) {
		t.Errorf("no key: got %v, want ErrSiteKey", err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Error("a new key was made for a database that has one")
	}
}

func TestKeyFileIsMadeOnceForItsOwnerOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "seal.key")
	key, made, err := LoadOrCreateKeyFile(path)
	if err != nil || !made || key == ([32]byte{}) {
		t.Fatalf("made %v, %v", made, err)
	}
	st, err := os.Stat(path)
	if err != nil || st.Mode().Perm() != 0o600 || st.Size() != 32 {
		t.Errorf("mode %v, %d bytes, %v", st.Mode(), st.Size(), err)
	}
	again, made, err := LoadOrCreateKeyFile(path)
	if err != nil || made || again != key {
		t.Errorf("second time: made %v, same %v, %v", made, again == key, err)
	}
	if es, err := os.ReadDir(filepath.Dir(path)); err != nil || len(es) != 1 {
		t.Errorf("%d files in the directory, %v; want 1", len(es), err)
	}
}

func TestBadKeyFilesAreRefused(t *testing.T) {
	for _, c := range []struct {
		name string
		size int
		mode os.FileMode
	}{
		{"readable by the group", 32, 0o640},
		{"readable by others", 32, 0o604},
		{"writable by others", 32, 0o602},
		{"empty", 0, 0o600},
		{"short", 31, 0o600},
		{"long", 33, 0o600},
	} {
		path := filepath.Join(t.TempDir(), "key")
		if err := os.WriteFile(path, make([]byte, c.size), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, c.mode); err != nil {
			t.Fatal(err)
		}
		if _, made, err := LoadOrCreateKeyFile(path); err == nil || made {
			t.Errorf("%s: accepted", c.name)
		}
	}
	if _, _, err := LoadOrCreateKeyFile(t.TempDir()); err == nil {
		t.Error("a directory was accepted")
	}
}

func TestManyUsersOfANewTenantGetOneKey(t *testing.T) {
	k, err := OpenKeyring(t.Context(), filepath.Join(t.TempDir(), "site.key"), newTable())
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			w, err := k.Wrap(t.Context(), "town", Key{byte(i)}, idA)
			if err != nil {
				t.Error(err)
				return
			}
			if got, err := k.Unwrap(t.Context(), "town", w, idA); err != nil || got != (Key{byte(i)}) {
				t.Errorf("%d: %v", i, err)
			}
		})
	}
	wg.Wait()
}

func TestKeysDoNotPrint(t *testing.T) {
	k := Key{0x41, 0x41, 0x41, 0x41}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d", "%q"} {
		if got := fmt.Sprintf(verb, k); got != "(key)" {
			t.Errorf("%s prints %s", verb, got)
		}
	}
}

package lazy

import "testing"

func TestValueIsMadeOnce(t *testing.T) {
	made := 0
	v := Value[map[string]int]{Make: func() map[string]int {
		made++
		return map[string]int{"a": 1}
	}}
	if made != 0 {
		t.Error("it was made before anybody asked")
	}
	for range 2 {
		if got := v.Get()["a"]; got != 1 {
			t.Errorf("it has %d, not 1", got)
		}
	}
	if made != 1 {
		t.Errorf("it was made %d times", made)
	}
}

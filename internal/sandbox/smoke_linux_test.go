package sandbox

import "testing"

func TestReportNeedsNamespaces(t *testing.T) {
	out, st := run(t, small(), "report")
	t.Log(out, st, st.Err())
}

package main

import (
	"sekisho/admin/client"
	"sekisho/internal/sandbox"
)

// isolationLines puts the self-test of the sandbox into lines of doctor.
func isolationLines(f sandbox.Findings) []client.Check {
	var cs []client.Check
	for _, p := range f.Probes {
		c := client.Check{Name: "isolation: " + p.Name, Status: "pass", Detail: p.Detail}
		if !p.Pass {
			c.Status = "fail"
		}
		cs = append(cs, c)
	}
	if len(cs) == 0 {
		cs = append(cs, client.Check{Name: "isolation", Status: "fail", Detail: "nothing was tried"})
	}
	cs = append(cs, client.Check{Name: "isolation: installed", Status: "pass", Detail: f.Report.String()})
	if f.Cgroup != "" {
		cs = append(cs, client.Check{Name: "isolation: cgroup", Status: "pass", Detail: f.Cgroup})
	}
	return cs
}

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
)

// settings make LibreOffice show what stands in a document: it computes nothing
// anew when it opens one, brings no links up to date and runs no macros.
// Otherwise what it computes of a cache of another workbook, a function it does
// not know or a server that is not there would be compared, and not the document.
const settings = `<?xml version="1.0" encoding="UTF-8"?>
<oor:items xmlns:oor="http://openoffice.org/2001/registry" xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
<item oor:path="/org.openoffice.Office.Calc/Formula/Load"><prop oor:name="OOXMLRecalcMode" oor:op="fuse"><value>1</value></prop></item>
<item oor:path="/org.openoffice.Office.Calc/Formula/Load"><prop oor:name="ODFRecalcMode" oor:op="fuse"><value>1</value></prop></item>
<item oor:path="/org.openoffice.Office.Calc/Content/Update"><prop oor:name="Link" oor:op="fuse"><value>2</value></prop></item>
<item oor:path="/org.openoffice.Office.Writer/Content/Update"><prop oor:name="Link" oor:op="fuse"><value>2</value></prop></item>
<item oor:path="/org.openoffice.Office.Common/Security/Scripting"><prop oor:name="DisableMacrosExecution" oor:op="fuse"><value>true</value></prop></item>
<item oor:path="/org.openoffice.Office.Common/Security/Scripting"><prop oor:name="BlockUntrustedRefererLinks" oor:op="fuse"><value>true</value></prop></item>
</oor:items>
`

// profile is the option that says where LibreOffice keeps its settings: one
// folder for each measurement, since two of its processes cannot share one.
var profile = sync.OnceValue(func() string {
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("sekisho-lo-profile-%d", os.Getpid()))
	user := filepath.Join(dir, "user")
	if err := os.MkdirAll(user, 0o700); err == nil {
		err = os.WriteFile(filepath.Join(user, "registrymodifications.xcu"), []byte(settings), 0o600)
		if err != nil {
			fmt.Fprintf(os.Stderr, "corpus: LibreOffice without settings of its own: %v\n", err)
		}
	}
	return "-env:UserInstallation=file://" + dir
})

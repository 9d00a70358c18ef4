package verify

import (
	"fmt"
	"strings"

	"sekisho/internal/lazy"
)

// visioCall finds calls in the formulas of cells that run, open, load or make
// formulas of text.
var visioCall = lazy.Compile(`(?i)(RUNADDON|RUNADDONWARGS|RUNMACRO|CALLTHIS|OPENFILE|OPENSHEETWIN|HYPERLINK|FOLLOWHYPERLINK|PLAYSOUND|SETF|EVALTEXT|QUEUEMARKEREVENT|DOCMD|GOTOPAGE|HELP|DDE\w*)\s*\(`)

// visioElement looks at an element of a drawing of Visio: no menus, no events,
// no links but harmless ones, no formula that does something.
func visioElement(m *markup) error {
	attr := map[string]string{}
	for i := range m.attrs {
		if a := &m.attrs[i]; len(a.prefix) == 0 {
			attr[string(a.local)] = decoded(a.value)
		}
	}
	switch string(m.local) {
	case "EventList", "EventItem", "CustomMenusFile", "CustomToolbarsFile", "AttachedToolbars", "MasterShortcut", "Icon", "PublishSettings":
		return fmt.Errorf("element %s", m.local)
	case "Section":
		switch attr["N"] {
		case "Actions", "ActionTag", "SmartTag", "SmartTags", "":
			return fmt.Errorf("section %q", attr["N"])
		}
	case "ForeignData":
		switch attr["ForeignType"] {
		case "Bitmap", "EnhMetaFile", "MetaFile":
		default:
			return fmt.Errorf("data of type %q", attr["ForeignType"])
		}
	case "Cell":
		switch attr["N"] {
		case "Address":
			if attr["V"] != "" && !harmlessURL(attr["V"]) || attr["F"] != "" && attr["F"] != "Inh" && attr["F"] != "No Formula" {
				return fmt.Errorf("link to %q", attr["V"])
			}
		case "HelpTopic":
			return fmt.Errorf("help in %q", attr["V"])
		}
		bare := inQuotes.ReplaceAllString(attr["F"], `""`)
		for _, inside := range []string{"Pages[", "Masters["} {
			bare = strings.ReplaceAll(bare, inside, "")
		}
		if call := visioCall.FindString(bare); call != "" || strings.ContainsAny(bare, "[|") {
			return fmt.Errorf("formula with %q", attr["F"])
		}
	}
	return nil
}

using System.Globalization;
using System.Text;
using SnapshotFlow.Workflows.Contracts;

namespace SnapshotFlow.Workflows;

/// <summary>A run as Markdown, for the Temporal UI's "current details".</summary>
internal static class RunDetails
{
    /// <summary>Step by step, then the evidence, then what is left.</summary>
    public static string Of(Progress run)
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"**{run.Status}** at {run.Step}");
        if (run.FreezeDeadlineAt is { } deadline)
        {
            text.Append(CultureInfo.InvariantCulture, $" — guest frozen until {deadline:HH:mm:ss.fff} at the latest");
        }

        if (run.Reason is { } reason)
        {
            text.Append(CultureInfo.InvariantCulture, $"\n\n{reason.Kind}: {reason.Message}");
        }

        if (run.Evidence is { } evidence)
        {
            text.Append(CultureInfo.InvariantCulture, $"\n\nConsistency **{evidence.Consistency}**{(evidence.Reason is { } why ? $" ({why})" : "")}");
            if (evidence.Freeze is { } freeze)
            {
                text.Append(CultureInfo.InvariantCulture, $", frozen {freeze.TotalMilliseconds:0} ms, cut skew {evidence.CutSkew.TotalMilliseconds:0} ms");
            }
        }

        text.Append("\n\n| step | ms | |\n|---|---|---|");
        foreach (var step in run.Steps)
        {
            var took = step.EndedAt is { } end ? (end - step.StartedAt).TotalMilliseconds.ToString("0", CultureInfo.InvariantCulture) : "…";
            text.Append(CultureInfo.InvariantCulture, $"\n| {step.Step} {Markdown.Cell(step.Detail)} | {took} | {Markdown.Cell(step.Error)} |");
        }

        foreach (var left in run.Leftovers)
        {
            text.Append(CultureInfo.InvariantCulture, $"\n\nLeft behind: {left.Kind} {left.Subject} — {left.Error}");
        }

        return text.ToString();
    }
}

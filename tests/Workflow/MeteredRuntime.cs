using System.Diagnostics.Metrics;
using SnapshotFlow.Telemetry;
using Temporalio.Runtime;

namespace SnapshotFlow.Tests.Workflow;

/// <summary>The runtime of the workers under test: what workflows count reaches a meter of System.Diagnostics.Metrics, as in the workers' process.</summary>
internal static class MeteredRuntime
{
    public static readonly Meter Meter = new("SnapshotFlow.Tests");

    public static readonly TemporalRuntime Instance = TelemetryRegistration.Runtime(Meter);
}

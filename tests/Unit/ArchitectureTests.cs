using System.Reflection;

namespace SnapshotFlow.Tests.Unit;

/// <summary>
/// The picture of who may know whom, compared with the references that the compiler wrote into each assembly:
/// <code>
/// model ← workflows, drivers, store ← activities ← workers        api → model, workflows, store        temporal-dev → nothing of ours
/// telemetry ← workers, api
/// </code>
/// </summary>
public sealed class ArchitectureTests
{
    private const string Model = "SnapshotFlow.Model";
    private const string Workflows = "SnapshotFlow.Workflows";
    private const string Activities = "SnapshotFlow.Activities";
    private const string Drivers = "SnapshotFlow.Drivers";
    private const string Store = "SnapshotFlow.Store";
    private const string Telemetry = "SnapshotFlow.Telemetry";
    private const string Workers = "snapshotflow-workers";
    private const string Api = "snapshotflow-api";
    private const string TemporalDev = "temporal-dev";

    private static readonly string[] Ours = [Model, Workflows, Activities, Drivers, Store, Telemetry, Workers, Api, TemporalDev];

    /// <summary>Project, what it may know of ours, and what else beside the framework.</summary>
    public static TheoryData<string, string[], string[]> Picture => new()
    {
        { Model, [], [] },
        { Workflows, [Model], ["Temporalio", "Google.Protobuf", "NexusRpc"] },
        { Drivers, [Model], [] },
        { Store, [Model], ["Npgsql", "Dapper", "dbup-"] },
        { Activities, [Model, Workflows, Drivers, Store], ["Temporalio"] },
        { Telemetry, [], ["Temporalio", "OpenTelemetry", "Google.Protobuf"] },
        { Workers, [Model, Workflows, Drivers, Store, Activities, Telemetry], ["Temporalio", "Npgsql", "Google.Protobuf", "Spectre.Console"] },
        { Api, [Model, Workflows, Store, Telemetry], ["Temporalio", "Google.Protobuf", "OpenTelemetry", "Npgsql", "YamlDotNet"] },
        { TemporalDev, [], ["Temporalio", "Google.Protobuf", "NexusRpc", "Grpc.", "Npgsql", "YamlDotNet", "OpenTelemetry"] },
    };

    [Theory]
    [MemberData(nameof(Picture))]
    public void A_project_knows_only_what_the_picture_lets_it_know(string project, string[] mayKnow, string[] mayUse)
    {
        var references = ReferencesOf(project).ToList();

        Assert.DoesNotContain(references, r => Ours.Contains(r) && !mayKnow.Contains(r));
        Assert.DoesNotContain(references, r => !Ours.Contains(r) && !IsFramework(r) && !mayUse.Any(m => r.StartsWith(m, StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData(Workflows, Model)]
    [InlineData(Drivers, Model)]
    [InlineData(Store, Model)]
    [InlineData(Activities, Workflows)]
    [InlineData(Activities, Drivers)]
    [InlineData(Activities, Store)]
    [InlineData(Workers, Activities)]
    [InlineData(Api, Workflows)]
    [InlineData(Api, Store)]
    [InlineData(Workers, Telemetry)]
    [InlineData(Api, Telemetry)]
    public void An_arrow_of_the_picture_is_there_in_the_code(string project, string known) => Assert.Contains(known, ReferencesOf(project));

    private static IEnumerable<string> ReferencesOf(string project) =>
        Assembly.LoadFrom(Path.Combine(AppContext.BaseDirectory, project + ".dll")).GetReferencedAssemblies().Select(r => r.Name!);

    private static bool IsFramework(string name) =>
        name is "netstandard" or "mscorlib" || name.StartsWith("System.", StringComparison.Ordinal) || name.StartsWith("Microsoft.", StringComparison.Ordinal);
}

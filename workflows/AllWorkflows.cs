using System.Reflection;
using Temporalio.Workflows;

namespace SnapshotFlow.Workflows;

/// <summary>The business processes of this product.</summary>
public static class AllWorkflows
{
    /// <summary>Every class that is a workflow.</summary>
    public static IReadOnlyList<Type> Types { get; } =
        [.. typeof(AllWorkflows).Assembly.GetExportedTypes().Where(t => t.GetCustomAttribute<WorkflowAttribute>() is not null).OrderBy(t => t.Name, StringComparer.Ordinal)];
}

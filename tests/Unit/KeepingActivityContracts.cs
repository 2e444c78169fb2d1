using System.Reflection;
using SnapshotFlow.Activities;
using SnapshotFlow.Model;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Activities;
using Temporalio.Exceptions;

namespace SnapshotFlow.Tests.Unit;

/// <summary>[Activity] is not inherited: workflows call the interface's names, workers register the class's. They must be the same.</summary>
public sealed class KeepingActivityContracts
{
    [Theory]
    [InlineData(typeof(IRecordActivities), typeof(RecordActivities))]
    [InlineData(typeof(IGuestActivities), typeof(GuestActivities))]
    [InlineData(typeof(IVolumeActivities), typeof(VolumeActivities))]
    [InlineData(typeof(ISnapshotActivities), typeof(SnapshotActivities))]
    [InlineData(typeof(IImageActivities), typeof(ImageActivities))]
    [InlineData(typeof(IVolumeRecordActivities), typeof(VolumeRecordActivities))]
    [InlineData(typeof(IVolumeCloneActivities), typeof(VolumeCloneActivities))]
    [InlineData(typeof(ILeaseActivities), typeof(LeaseActivities))]
    [InlineData(typeof(IExaminationActivities), typeof(ExaminationActivities))]
    [InlineData(typeof(IReconcileActivities), typeof(ReconcileActivities))]
    public void A_class_has_the_activities_of_its_contract_and_no_others(Type contract, Type implementation)
    {
        Assert.True(contract.IsAssignableFrom(implementation));
        var promised = Signatures(contract);
        Assert.NotEmpty(promised);
        Assert.Equal(contract.GetMethods().Length, promised.Count);
        Assert.Equal(promised, Signatures(implementation));
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task A_failure_becomes_an_activity_failure_of_its_kind_and_only_what_may_pass_is_tried_again(ErrorKind kind)
    {
        var e = await Assert.ThrowsAsync<ApplicationFailureException>(() => ActivityErrors.Translate(() => Task.FromException(new SnapshotFlowException(kind, "why"))));
        Assert.Equal((kind.ToString(), "why"), (e.ErrorType, e.Message));
        Assert.Equal(kind is not (ErrorKind.Busy or ErrorKind.BackendUnavailable), e.NonRetryable);
    }

    public static TheoryData<ErrorKind> Kinds => [.. Enum.GetValues<ErrorKind>()];

    [Fact]
    public async Task A_bug_and_a_cancellation_pass_as_they_are()
    {
        await Assert.ThrowsAsync<InvalidOperationException>(() => ActivityErrors.Translate(() => Task.FromException(new InvalidOperationException())));
        await Assert.ThrowsAsync<OperationCanceledException>(() => ActivityErrors.Translate(() => Task.FromException(new OperationCanceledException())));
    }

    private static List<string> Signatures(Type type) =>
    [
        .. type.GetMethods(BindingFlags.Public | BindingFlags.Instance)
            .Select(m => (Method: m, Activity: m.GetCustomAttribute<ActivityAttribute>()))
            .Where(x => x.Activity is not null)
            .Select(x => $"{x.Activity!.Name ?? x.Method.Name}({string.Join(", ", x.Method.GetParameters().Select(p => p.ParameterType))}) : {x.Method.ReturnType}")
            .Order(StringComparer.Ordinal),
    ];
}

using Google.Protobuf;
using Temporalio.Exceptions;

namespace SnapshotFlow.Tests.TemporalDev.Conformance;

internal static class RpcAssert
{
    /// <summary>The call fails with this code, and with this detail where one is promised.</summary>
    public static async Task<RpcException> FailsAsync(RpcException.StatusCode code, Func<Task> call)
    {
        var error = await Assert.ThrowsAsync<RpcException>(call);
        Assert.True(error.Code == code, $"expected {code}, got {error.Code}: {error.Message}");
        return error;
    }

    public static async Task<T> FailsWithAsync<T>(RpcException.StatusCode code, Func<Task> call)
        where T : class, IMessage<T>, new()
    {
        var error = await FailsAsync(code, call);
        var status = error.GrpcStatus.Value;
        Assert.NotNull(status);
        foreach (var any in status.Details)
        {
            if (any.TryUnpack<T>(out var detail))
            {
                return detail;
            }
        }

        throw new Xunit.Sdk.XunitException($"no {typeof(T).Name} among [{string.Join(", ", status.Details.Select(d => d.TypeUrl))}]");
    }
}

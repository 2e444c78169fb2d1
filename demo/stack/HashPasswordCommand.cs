using SnapshotFlow.Model;

namespace SnapshotFlow.Stack;

/// <summary><c>hash-password</c>: what goes into the users file instead of a password.</summary>
internal static class HashPasswordCommand
{
    public static async Task<int> RunAsync(CancellationToken ct)
    {
        if (await Console.In.ReadLineAsync(ct) is not { Length: > 0 } password)
        {
            throw new StackException("no password on standard input: printf %s 'the password' | ./snapshotflow hash-password");
        }

        Console.WriteLine(PasswordHash.Of(password));
        return 0;
    }
}
